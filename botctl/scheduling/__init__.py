"""The schedule of the ticks, by cron or a systemd timer."""

"""Who starts the ticks: cron, or a timer of systemd."""

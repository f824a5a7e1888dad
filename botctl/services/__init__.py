"""The verbs: what one visit from cron does, told through ports."""

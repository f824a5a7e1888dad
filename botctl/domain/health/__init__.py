"""Whether botctl can do its work: results of checks, outages, and whether anybody ticks."""

"""botctl guards and trades spot positions on Kraken, one short run at a time."""

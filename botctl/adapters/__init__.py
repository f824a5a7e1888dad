"""What stands behind the ports: Kraken, the paper broker, the demo's market, the clock."""

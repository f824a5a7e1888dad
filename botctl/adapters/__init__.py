"""The implementations of the ports: Kraken, the paper broker, the demo's market, the clock."""

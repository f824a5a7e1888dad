"""Where orders go and prices come from: Kraken, the paper broker, the demo's tape."""

"""The world beside the exchange: the mood of the market, somebody to tell."""

"""Orders from their record to their end: placed once, settled by the exchange's own figures; stops that rest."""

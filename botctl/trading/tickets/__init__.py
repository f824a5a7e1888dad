"""What an order would do, before anybody says yes."""

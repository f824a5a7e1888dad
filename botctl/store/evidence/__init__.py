"""What was seen of the account, its orders and markets, kept between runs to compare the next answers with."""

"""Money: prices, costs, limits and the record of both. These rooms do not know one another."""

"""Several nodes on one PostgreSQL: what `carebell serve` promises when it is not alone, and when the server goes away."""

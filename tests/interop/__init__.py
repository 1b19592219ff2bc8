"""Foreign clients and signers; each skips with its reason where its runtime is absent."""

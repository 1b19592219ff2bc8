"""Certificates and signatures: whose key signed these bytes, and may it speak for this environment?"""

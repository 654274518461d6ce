"""Tickets: their numbers and codes, their PDFs, and the files the shop serves."""

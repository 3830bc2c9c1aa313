"""A picture's provenance as one document, as a page that prints, and as the folder that `generate` leaves."""

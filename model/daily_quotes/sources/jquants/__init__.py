"""Daily bars and the tables beside them from J-Quants (API V2), kept day by day below the storage root."""

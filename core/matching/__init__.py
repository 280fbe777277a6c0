"""Which contact a member is: pure, from what the books hold to a verdict."""

"""What engines share: labelled views, kinds of numbers, what is done to a result at its end."""

"""Networks: parts put together, with parameters in a plain nested dict."""

"""The app takes bytes or a row, keeps them, and makes a lead of them."""

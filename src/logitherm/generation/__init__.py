"""From next-token logits to text: the loop, its rows, and when and how they end."""

"""A streaming Markdown renderer for terminals. Use MarkdownStream for a stream and `render` for a complete text."""

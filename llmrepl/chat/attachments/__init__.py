"""What is attached to a prompt: files, directories, web pages and the output of commands."""

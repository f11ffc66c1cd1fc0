"""What is written beside the pages: tables and figures as files, summaries as text."""

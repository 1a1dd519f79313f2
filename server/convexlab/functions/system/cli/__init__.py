"""What command lines and data browsers ask: tableData."""

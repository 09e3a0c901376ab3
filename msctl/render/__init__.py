"""What people see: tables, progress, failures. Everything here turns facts into text."""

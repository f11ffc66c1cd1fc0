"""Fresh processes with deadlines and memory caps, and what the system must be told so that they are fast."""

"""Fresh processes with deadlines and memory caps, how they are set up, and what the machine is."""

"""Jobs become records: in processes of this machine or of a cluster."""

"""Networks built out of a layer factory, shared by the tasks."""

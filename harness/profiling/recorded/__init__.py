"""One step as it ran: its operators with their lines of source, its memory, its events.

Torch alone is used here, and no other room: the gate hands these files to both of its sides.
"""

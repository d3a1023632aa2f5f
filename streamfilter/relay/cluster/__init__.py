"""The relay past one machine: filter workers behind Janus VideoRooms, and a front that gives them rooms."""

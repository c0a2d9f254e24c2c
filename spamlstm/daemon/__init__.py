"""The daemon: its main loop, the watching of Maildirs, its sockets and its status."""

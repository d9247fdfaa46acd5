"""Holds: messages of a blocked or paused scope wait until it is released."""

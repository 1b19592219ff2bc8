"""Other people's servers, each a program that prints `ready PORT` and answers AA to every message until it is killed."""

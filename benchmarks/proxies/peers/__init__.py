"""How each of the other proxies is told to do a job. Each ``prepare`` writes files and returns the command to run."""

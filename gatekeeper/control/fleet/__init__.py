"""The workers: started, spoken to, watched, replaced; and the sockets they listen on."""

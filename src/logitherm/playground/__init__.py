"""The playground: a server that holds a model and the texts it wrote, and a page that draws what the server says."""

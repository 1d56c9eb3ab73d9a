"""A local hub that unmodified Hugging Face clients can push to and load from.

    disk, names, refusals      the file system, the names that reach it, and what is refused
    objects, tree, repository  content-addressed files, trees of them, commits and refs
    store, tokens, signing     repositories of one folder, who may touch them, upload addresses
    server, routes, access     the protocol over Starlette
    serve                      the process: in the foreground, or around a block of code
    environment, client, card  the other side: pushing a folder, and the card that goes with it
    commands                   ``hfrun hub ...``

Nothing is imported here, so that ``import hfrun.hub`` needs no extra package.
"""

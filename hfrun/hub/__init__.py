"""A local hub that unmodified Hugging Face clients can push to and load from.

    names, refusals         the names that reach the disk, and what is refused
    store                   content, commits and refs of one folder
    accounts                who may touch them
    discussions             pull requests
    descriptions            what repositories say of themselves, and how they are found
    transport, routes       the protocol over Starlette
    pages                   what a person reads in a browser
    maintenance             check, gc and export
    server, serve, options  the application, and the process that serves it
    client, environment     the other side: pushing a folder
    card                    the card that goes with it
    commands                ``hfrun hub ...``

Nothing is imported here, so that ``import hfrun.hub`` needs no extra package.
"""

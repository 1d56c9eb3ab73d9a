"""What a hub keeps on the disk: objects, trees, commits and refs, one folder a repository.

disk                            files that survive a crash, and locks
objects, tree, commit           content under its hash, and git's ids of files and commits
repository                      commits and refs that move one whole step at a time
hub_store, moves                the repositories of one folder, and the names they have left
upload_mode, path_rules         which files are kept as large ones
path_history, storage           what a history says of paths and of space
three_way, rewriting, copying   changes put together, histories made anew, copies
"""

"""What is kept and where: tables, blobs and the queue of one storage account."""

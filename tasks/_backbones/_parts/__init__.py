"""Parts of networks: where the variant stands, how maps are halved and doubled, how weights start."""

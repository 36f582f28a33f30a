"""File formats that several data sets share: COCO's JSON, TFRecord, SMPL labels and others."""

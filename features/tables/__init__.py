"""Files as tables of text: delimited text, Excel and Parquet, packed or not, one file per format."""

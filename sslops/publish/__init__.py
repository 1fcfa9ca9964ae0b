"""The stage `publish`: include files with TLSA records, proposed to the DNS repository and merged there."""

"""What this machine has and lacks, told verb by verb: `sslops doctor` looks and changes nothing."""

//! The file format of events: TensorFlow's record format.

/// Appends one record: its length, the checksum of the length, the data, and the checksum of the data. All are
/// little-endian, and the checksums are masked.
pub(super) fn push(to: &mut Vec<u8>, record: &[u8]) {
    let length = (record.len() as u64).to_le_bytes();
    to.extend(length);
    to.extend(masked(&length).to_le_bytes());
    to.extend(record);
    to.extend(masked(record).to_le_bytes());
}

/// CRC-32C, rotated and offset so that it still works on data that contains checksums.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    /// RFC 3720, B.4: CRC-32C of 32 bytes of zeros is `aa 36 91 8a`, as bytes in order.
    #[test]
    fn checksums_are_masked_castagnoli() {
        let plain = u32::from_le_bytes([0xaa, 0x36, 0x91, 0x8a]);
        assert_eq!(super::masked(&[0; 32]), plain.rotate_right(15).wrapping_add(0xa282_ead8));
    }
}

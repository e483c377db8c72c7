//! The finest scale of the map, in cells of ten degrees: one file of a table and the compressed cells, so that a
//! phone fetches the few kilobytes round an incident. `scripts/map-data` writes it.

/// The whole file.
pub const PACK: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/map/cells-10m.pack"));

const HEADER: usize = 4;
const ENTRY: usize = 12;

/// The cell in this column from 180° west and this row from 90° south, compressed; none where there is only sea.
pub fn cell(column: u8, row: u8) -> Option<&'static [u8]> {
    let (table, body) = parts()?;
    let entry = table
        .chunks_exact(ENTRY)
        .find(|entry| entry[0] == column && entry[1] == row)?;
    let (offset, length) = (number(entry, 4)?, number(entry, 8)?);
    body.get(offset..offset + length)
}

fn parts() -> Option<(&'static [u8], &'static [u8])> {
    let cells = number(PACK, 0)?;
    PACK.get(HEADER..)?.split_at_checked(cells * ENTRY)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 4)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_whole() {
        let mut found = 0;
        for column in 0..=255 {
            for row in 0..=255 {
                let Some(cell) = cell(column, row) else { continue };
                assert!(column < 36 && row < 18);
                let asset = super::super::assets::Asset::map(cell);
                assert!(asset.plain().starts_with(b"MYM1"), "{column} {row}");
                found += 1;
            }
        }
        assert_eq!(Some(found), number(PACK, 0));
    }

    #[test]
    fn manila_is_on_land_and_point_nemo_at_sea() {
        let at = |longitude: i32, latitude: i32| {
            let cell_of = |degrees: i32| u8::try_from(degrees / 10).unwrap();
            cell(cell_of(longitude + 180), cell_of(latitude + 90))
        };
        assert!(at(120, 14).is_some());
        assert!(at(-123, -48).is_none());
    }
}

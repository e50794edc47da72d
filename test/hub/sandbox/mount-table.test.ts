import { describe, expect, it } from 'vitest';
import {
  liesIn,
  mountOf,
  mountsBelow,
  parseMountTable,
  placeOf,
  placesIn,
} from '../../../hub/sandbox/mount-table.ts';
import { verifies } from '../../support/verifies.ts';

/** As recorded, shortened: a disk with subvolumes, bind mounts, a hidden mount, and a name with a blank. */
const TABLE = parseMountTable(`
21 1 0:20 /@ / rw,relatime shared:1 - btrfs /dev/sda2 rw,subvol=/@
22 21 0:20 /@home /home rw,relatime shared:2 - btrfs /dev/sda2 rw,subvol=/@home
23 21 8:17 / /srv rw,nosuid,nodev,relatime shared:3 master:1 - ext4 /dev/sdb1 rw
24 23 0:20 /@home/me/berth /srv/again rw,relatime - btrfs /dev/sda2 rw
25 23 8:17 /a\\040b /srv/c\\040d ro,relatime - ext4 /dev/sdb1 rw
26 21 0:44 / /mnt/inner rw,relatime - tmpfs none rw
27 21 0:45 / /mnt rw,relatime - tmpfs none rw
28 22 0:46 / /home rw,relatime - tmpfs over rw
29 28 0:20 /@home /home rw,relatime - btrfs /dev/sda2 rw
half a line
`);

describe('the table of mounts', () => {
  it('tells where a path really lies', verifies('folders.never-the-hubs'), () => {
    expect(placeOf(TABLE, '/')).toEqual({ device: '0:20', path: '/@' });
    expect(placeOf(TABLE, '/etc')).toEqual({ device: '0:20', path: '/@/etc' });
    expect(placeOf(TABLE, '/home/me')).toEqual({ device: '0:20', path: '/@home/me' });
    expect(placeOf(TABLE, '/srv')).toEqual({ device: '8:17', path: '/' });
    expect(placeOf(TABLE, '/srv/x')).toEqual({ device: '8:17', path: '/x' });
    expect(placeOf(TABLE, '/srv/again/hub')).toEqual({ device: '0:20', path: '/@home/me/berth/hub' });
    expect(placeOf(TABLE, '/srv/c d/e')).toEqual({ device: '8:17', path: '/a b/e' });
    expect(placeOf([], '/x')).toBeUndefined();
  });

  it(
    'knows of several mounts at a point the last, and none that is hidden',
    verifies('folders.never-the-hubs'),
    () => {
      expect(mountOf(TABLE, '/home/me')?.id).toBe('29');
      expect(mountOf(TABLE, '/mnt/inner')?.id).toBe('27');
      expect(mountsBelow(TABLE, '/mnt')).toEqual([]);
      expect(mountsBelow(TABLE, '/srv').map(({ id }) => id)).toEqual(['24', '25']);
      expect(mountsBelow(TABLE, '/sr')).toEqual([]);
    },
  );

  it('tells of a bind mount what it shows', verifies('folders.never-the-hubs'), () => {
    const home = { device: '0:20', path: '/@home/me/berth' };
    expect(placesIn(TABLE, '/srv').some((place) => liesIn(place, home))).toBe(true);
    expect(placesIn(TABLE, '/srv/c d').some((place) => liesIn(place, home) || liesIn(home, place))).toBe(
      false,
    );
    expect(liesIn(home, { device: '0:20', path: '/@home/me/ber' })).toBe(false);
    expect(liesIn(home, { device: '0:21', path: '/@home' })).toBe(false);
    expect(liesIn(home, { device: '0:20', path: '/' })).toBe(true);
  });
});

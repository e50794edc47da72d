import { describe, expect, it } from 'vitest';
import {
  addressFault,
  isOwnDoor,
  isPublicAddress,
  machineAddresses,
  type OwnPlaces,
  plainAddress,
} from '../../../hub/egress/addresses.ts';
import { verifies } from '../../support/verifies.ts';

describe('an address', () => {
  it.each(['1.1.1.1', '8.8.8.8', '172.15.255.255', '172.32.0.1', '2606:4700:4700::1111', '2a00:1450::1'])(
    '%s is of the open internet',
    verifies('remote.addresses'),
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it.each([
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '100.100.100.200',
    '169.254.169.254',
    '168.63.129.16',
    '192.0.0.192',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd00:ec2::254',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:db8::1',
    '2001::1',
    'localhost',
    '',
    '0x7f.1',
  ])('%s is not', verifies('remote.addresses'), (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

const NOWHERE = { addresses: () => [], doors: () => [] };

describe('an address in one spelling', () => {
  it.each([
    ['::ffff:127.64.0.1', '127.64.0.1'],
    ['::FFFF:7f40:1', '127.64.0.1'],
    ['0:0:0:0:0:ffff:0a00:0001', '10.0.0.1'],
    ['2606:4700:0:0::1', '2606:4700::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['1.2.3.4', '1.2.3.4'],
  ])('%s is %s', verifies('egress.addresses'), (text, plain) => expect(plainAddress(text)).toBe(plain));

  it.each(['', 'localhost', '0x7f000001', '2130706433', '127.1', '1.2.3.4.5', '::g', '[::1]'])(
    '%j is none',
    verifies('egress.addresses'),
    (text) => expect(plainAddress(text)).toBeUndefined(),
  );
});

describe('what a granted name leads to', () => {
  const fault = (address: string, named?: string, own: Partial<OwnPlaces> = {}) =>
    addressFault({ address, port: 443, named }, { ...NOWHERE, ...own });

  it('is of the open internet, and not of this machine there', verifies('egress.addresses'), () => {
    expect(fault('1.1.1.1')).toBeUndefined();
    expect(fault('10.0.0.1')).toBe('address-not-public');
    expect(fault('1.1.1.1', undefined, { addresses: () => ['1.1.1.1'] })).toBe('own-address');
    expect(fault('2606:4700::1', undefined, { addresses: () => ['2606:4700:0::1'] })).toBe('own-address');
    expect(fault('fe80::1', undefined, { addresses: () => ['fe80::1%eth0'] })).toBe('own-address');
  });

  it('is not where the hub or its registry answers', verifies('egress.addresses'), () => {
    const doors = () => [{ host: '1.1.1.1', port: 443 }];
    expect(fault('1.1.1.1', undefined, { doors })).toBe('own-door');
    expect(fault('1.1.1.1', undefined, { doors: () => [{ host: '1.1.1.1', port: 4750 }] })).toBeUndefined();
    const named = { ...NOWHERE, doors: () => [{ host: 'Registry.Example.', port: 443 }] };
    expect(isOwnDoor('registry.example', 443, named)).toBe(true);
    expect(isOwnDoor('registry.example', 8443, named)).toBe(false);
  });

  it('is exactly the address that an admin named', verifies('egress.addresses'), () => {
    const own = { addresses: () => ['127.0.0.1'] };
    expect(fault('127.0.0.1', '127.0.0.1', own)).toBeUndefined();
    expect(fault('::ffff:127.0.0.1', '127.0.0.1', own)).toBeUndefined();
    expect(fault('1.1.1.1', '127.0.0.1', own)).toBe('other-address');
    expect(fault('nonsense', 'nonsense')).toBe('other-address');
  });

  it('counts every address that this machine has', verifies('egress.addresses'), () => {
    expect(machineAddresses()).toContain('127.0.0.1');
  });
});
